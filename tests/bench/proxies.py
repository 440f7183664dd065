"""What is measured, and what stands behind it: how each program is configured and started.

Each start function returns {upstream: (port, pid)}, an upstream being `plain`, `h1` (TLS, HTTP/1.1) or `h2` (TLS,
HTTP/2). Every program gets what its operators would give it for this work: kept-alive pools, certificates checked,
tries elsewhere after a failure, nothing buffered, no access log, one worker.
"""

import os
import pwd
import shutil
import subprocess

from machine import CannotRun, free_ports, wait_for_port

EVENTS = 200  # in a stream


def make_certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(cert, 0o644)
    return cert, key


def start_backend(machine, build, tls, interval_ms):
    program = os.path.join(build, "tests", "bench", "bench-backend")
    ports = dict(zip(("plain", "h1", "h2"), (free_ports(2) for _ in range(3))))
    command = [program, "--answer-bytes", "1024", "--events", str(EVENTS),
               "--interval-us", str(1000 * interval_ms), "--cert", tls[0], "--key", tls[1]]
    for option, kind in (("--plain", "plain"), ("--tls", "h1"), ("--h2", "h2")):
        for port in ports[kind]:
            command += [option, str(port)]
    child = machine.start("backend", command, machine.other_cpus)
    wait_for_port(child, ports["plain"][0], "backend", machine)
    return ports, child.pid


NGINX = """\
%(user)s
worker_processes 1;
daemon off;
pid %(folder)s/nginx.pid;
error_log %(folder)s/nginx-error.log warn;
events { worker_connections 8192; }
http {
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_buffer_size 64k;
    client_body_temp_path %(folder)s/nginx-body;
    proxy_temp_path %(folder)s/nginx-proxy;
    fastcgi_temp_path %(folder)s/nginx-fastcgi;
    uwsgi_temp_path %(folder)s/nginx-uwsgi;
    scgi_temp_path %(folder)s/nginx-scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_read_timeout 60s;
    proxy_next_upstream error timeout http_500 http_502 http_503 http_504 http_429 non_idempotent;
    proxy_next_upstream_tries 3;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate %(cert)s;
    proxy_ssl_name localhost;
    proxy_ssl_server_name on;
    proxy_ssl_session_reuse on;
%(servers)s}
"""

NGINX_SERVER = """\
    upstream %(kind)s {
        server 127.0.0.1:%(a)d max_fails=5 fail_timeout=5s;
        server 127.0.0.1:%(b)d max_fails=5 fail_timeout=5s;
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }
    server {
        listen 127.0.0.1:%(port)d backlog=4096;
        location / { proxy_pass %(scheme)s://%(kind)s; }
    }
"""


def start_nginx(machine, upstreams, tls):
    ports = dict(zip(("plain", "h1"), free_ports(2)))
    servers = "".join(NGINX_SERVER % {"kind": kind, "a": upstreams[kind][0], "b": upstreams[kind][1], "port": port,
                                      "scheme": "http" if kind == "plain" else "https"}
                      for kind, port in ports.items())
    user = "user %s;" % pwd.getpwuid(os.getuid()).pw_name if os.geteuid() == 0 else ""
    path = os.path.join(machine.folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX % {"user": user, "folder": machine.folder, "cert": tls[0], "servers": servers})
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    child = machine.start("nginx", [program, "-p", machine.folder, "-e", "stderr", "-c", path], machine.proxy_cpus)
    wait_for_port(child, ports["plain"], "nginx", machine)
    return {kind: (port, child.pid) for kind, port in ports.items()}


HAPROXY = """\
global
    nbthread 1
    maxconn 4000
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 600s
    http-reuse always
    option http-no-delay
    option redispatch 1
    retries 2
"""

HAPROXY_SERVER = """\
frontend front-%(kind)s
    bind 127.0.0.1:%(port)d backlog 4096
    default_backend %(kind)s
backend %(kind)s
    balance roundrobin
    retry-on %(retry)s
    default-server pool-max-conn -1 pool-purge-delay 600s %(tls)s
    server a 127.0.0.1:%(a)d
    server b 127.0.0.1:%(b)d
"""


def start_haproxy(machine, upstreams, tls):
    ports = dict(zip(("plain", "h1", "h2", "bare"), free_ports(4)))
    text = HAPROXY
    for kind, port in ports.items():
        upstream = upstreams["plain" if kind == "bare" else kind]
        retry = "conn-failure" if kind == "bare" else "conn-failure empty-response response-timeout 500 502 503 504"
        secure = "ssl verify required ca-file %s verifyhost localhost sni str(localhost)" % tls[0]
        text += HAPROXY_SERVER % {"kind": kind, "port": port, "a": upstream[0], "b": upstream[1], "retry": retry,
                                  "tls": {"h1": secure, "h2": secure + " alpn h2"}.get(kind, "")}
    path = os.path.join(machine.folder, "haproxy.cfg")
    with open(path, "w") as file:
        file.write(text)
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    child = machine.start("haproxy", [program, "-db", "-f", path], machine.proxy_cpus)
    wait_for_port(child, ports["plain"], "haproxy", machine)
    return {kind: (port, child.pid) for kind, port in ports.items()}


GATEWAYD = """\
listen: [{tcp: "127.0.0.1:%(port)d"}]
workers: 1
state: %(folder)s/state
limits: {connections: 4000}
log: {level: warn, access: off}
endpoints:
"""

GATEWAYD_ENDPOINT = """\
  - {name: %(name)s, url: "%(scheme)s://127.0.0.1:%(port)d/v1", key: none, max_concurrent: 10000%(more)s}
"""


def start_gatewayd(machine, build, upstreams, tls):
    program = os.path.join(build, "gatewayd", "gatewayd")
    if not os.access(program, os.X_OK):
        raise CannotRun("gatewayd: there is no %s" % program)
    found = {}
    for kind in ("plain", "h1", "h2"):
        name = "gatewayd-" + kind
        folder = os.path.join(machine.folder, name)
        os.mkdir(folder)
        port = free_ports(1)[0]
        text = GATEWAYD % {"port": port, "folder": folder}
        more = {"plain": "", "h1": ", http2: off, ca_file: %s" % tls[0], "h2": ", ca_file: %s" % tls[0]}[kind]
        for endpoint, upstream in zip("ab", upstreams[kind]):
            text += GATEWAYD_ENDPOINT % {"name": endpoint, "port": upstream, "more": more,
                                         "scheme": "http" if kind == "plain" else "https"}
        path = os.path.join(folder, "gatewayd.yaml")
        with open(path, "w") as file:
            file.write(text)
        child = machine.start(name, [program, "-c", path], machine.proxy_cpus)
        wait_for_port(child, port, name, machine)
        found[kind] = (port, child.pid)
    return found

# fish completion for gatewayctl. The program itself knows what may come next: see `gatewayctl __complete`.

function __gatewayctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string trim -l -c '"\'' | string unescape)
    $words[1] __complete $words[2..-1] "$current" 2>/dev/null
end

function __gatewayctl_wants_file
    __gatewayctl_complete | string match -q :files
end

# Files are fish's own business: it knows about spaces and tildes.
complete -c gatewayctl -n __gatewayctl_wants_file -F
complete -c gatewayctl -n 'not __gatewayctl_wants_file' -f -a '(__gatewayctl_complete)'

/*
 * The breaker's word: permit and report as a load and a compare-and-swap each, by workers that may be killed between any
 * two steps, while time passes. Promises: no more trials of one generation are out than allowed; a report changes only
 * the generation it was admitted under; and whatever died, once the lease is over a trial is granted again.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#define ROUNDS 2
#define END 3      /* the clock stops here */
#define FAILURES 1 /* in a row, until it opens */
#define HALF_OPEN 1
#define NEEDED 1
#define OPEN_FOR 1
#define LEASE 1

#define CLOSED 0
#define OPEN 1
#define HALF 2

/* The word. Its parts are read together and changed together, as one word is. */
byte mode = CLOSED, gen = 0, trials = 0, successes = 0, t = 0;
byte now = 0, finished = 0, killed = 0;

/* What is really out: living workers that hold a trial of this generation. */
byte out[16];

#define LOAD(m, g, n, s, e) d_step { m = mode; g = gen; n = trials; s = successes; e = t }
#define SAME (mode == m && gen == g && trials == n && successes == s && t == e)
#define STORE(M, G, N, S, E) mode = M; gen = (G) % 16; trials = N; successes = S; t = E

#ifdef NO_LEASE
#define LEASE_OVER (false)
#else
#define LEASE_OVER (m == HALF && at >= e)
#endif
/* A reclaimed trial opens a generation of its own. */
#ifdef SAME_GENERATION
#define RECLAIM (m == HALF -> g : g + 1)
#else
#define RECLAIM (g + 1)
#endif
#ifdef NO_GENERATION_CHECK
#define FOREIGN (false)
#elif defined(ONLY_SUCCESSES_CHECKED)
#define FOREIGN (ok && g != pgen)
#else
#define FOREIGN (g != pgen)
#endif

#define CHANGE(M, G, N, S, E)                                                                                          \
    d_step {                                                                                                           \
        if                                                                                                             \
        :: SAME -> assert(gen == pgen); STORE(M, G, N, S, E); done = true                                              \
        :: else                                                                                                        \
        fi                                                                                                             \
    }

inline ask()
{
    go = false; trial = false;
    do
    :: LOAD(m, g, n, s, e);
       at = now;
       if
       :: m == CLOSED -> go = true; pgen = g; break
       :: m == OPEN && at < e -> break
       :: m == OPEN && at >= e || LEASE_OVER ->
          d_step {
              if
              :: SAME -> STORE(HALF, RECLAIM, 1, 0, at + LEASE);
                         go = true; trial = true; pgen = gen; out[gen]++;
                         assert(out[gen] <= HALF_OPEN)
              :: else
              fi
          }
          if
          :: go -> break
          :: else
          fi
       :: m == HALF && !(LEASE_OVER) ->
          if
          :: n + s < NEEDED && n < HALF_OPEN ->
             d_step {
                 if
                 :: SAME -> STORE(HALF, g, n + 1, s, at + LEASE);
                            go = true; trial = true; pgen = g; out[g]++;
                            assert(out[g] <= HALF_OPEN)
                 :: else
                 fi
             }
             if
             :: go -> break
             :: else
             fi
          :: else -> break
          fi
       fi
    od
}

inline tell(ok)
{
    done = false;
    do
    :: done -> break
    :: else ->
       LOAD(m, g, n, s, e);
       at = now;
       if
       :: FOREIGN -> done = true
       :: else ->
          if
          :: m == CLOSED && ok -> done = true
          :: m == CLOSED && !ok -> CHANGE(OPEN, g + 1, 0, 0, at + OPEN_FOR)
          :: m == HALF && n == 0 -> done = true
          :: m == HALF && n > 0 && ok -> CHANGE(CLOSED, g + 1, 0, 0, at)
          :: m == HALF && n > 0 && !ok -> CHANGE(OPEN, g + 1, 0, 0, at + OPEN_FOR)
          :: m == OPEN -> done = true
          fi
       fi
    od
}

/* The worker's own end of a trial, whether it reports or dies. */
#define DROP if :: trial -> out[pgen]--; trial = false :: else fi

proctype worker()
{
    byte m, g, n, s, e, at, pgen, rounds = 0;
    bool go, trial, done, lucky;

    {
        do
        :: rounds < ROUNDS ->
           rounds++;
           ask();
           if
           :: go ->
              if
              :: lucky = true
              :: lucky = false
              fi;
              d_step { DROP }
              tell(lucky)
           :: else
           fi;
           skip; /* what a worker forgets is no difference between two states */
           d_step { m = 0; g = 0; n = 0; s = 0; e = 0; at = 0; pgen = 0; go = false; done = false; lucky = false }
        :: rounds == ROUNDS -> break
        od
    } unless { killed == _pid }
    skip;
    d_step { DROP; if :: killed == _pid -> killed = 99 :: else fi; finished++ }
}

/* Shoots the first worker at any moment, or nobody: the workers are all alike. */
proctype killer()
{
    if
    :: killed = 1
    :: skip
    fi
}

proctype clock()
{
    do
    :: now < END -> now++
    :: else -> break
    od
}

/* Comes when all is over: it must be served, at the latest when the deadline in the word has passed. */
proctype last()
{
    byte m, g, n, s, e, at, pgen;
    bool go, trial;

    finished == WORKERS && now == END ->
    now = END + OPEN_FOR + LEASE + 1;
    ask();
    assert(go);
    now = 0
}

init
{
    atomic { run worker(); run worker(); run killer(); run clock(); run last() }
}

/*
 * The bulkhead: owned cells, add then sum then step back, with waiters that sleep until they are woken. Workers may be
 * killed between any two steps, and are reaped. Promises: never more inside than the limit; nobody sleeps beside a free
 * place (that would be an end that is none); and at rest nothing is held.
 */

#define WORKERS 2
#define LIMIT 1
#define KILLS 1

byte cell[WORKERS];
byte total;           /* only for the mutation that counts globally */
bool waits[WORKERS];  /* the bits in the region */
bool bell[WORKERS];   /* the descriptors */
bool shot[WORKERS], over[WORKERS], reaped[WORKERS];
byte inside, kills;

inline sum_up(into)
{
#ifdef GLOBAL_COUNTER
    into = total
#else
    into = 0; j = 0;
    do
    :: j < WORKERS -> into = into + cell[j]; j++
    :: else -> break
    od
#endif
}

inline add(n)
{
    cell[me] = cell[me] + n;
#ifdef GLOBAL_COUNTER
    total = total + n
#endif
}

inline wake()
{
    j = 0;
    do
    :: j < WORKERS ->
       woken = false;
       atomic { if :: waits[j] -> waits[j] = false; woken = true :: else fi }
       if
       :: woken -> bell[j] = true
       :: else
       fi;
       j++
    :: else -> break
    od
}

inline look()
{
    taken = false; stepped = false;
    sum_up(seen);
    if
    :: seen >= LIMIT
    :: else ->
       add(1);
#ifdef NO_SECOND_SUM
       seen = 0;
#else
       sum_up(seen);
#endif
       if
       :: seen <= LIMIT -> atomic { taken = true; inside++; mine = true; assert(inside <= LIMIT) }
       :: else -> add(-1); stepped = true
       fi
    fi;
#ifndef STEP_BACK_WAKES_NOBODY
    if
    :: stepped -> wake()
    :: else
    fi
#endif
}

proctype worker(byte me)
{
    byte j, seen;
    bool taken, stepped, woken, mine = false;

    {
        do
        :: look();
           if
           :: taken -> break
           :: else
           fi;
#ifndef BIT_AFTER_LOOK
           waits[me] = true;
#endif
           look();
           if
           :: taken -> break
           :: else
           fi;
#ifdef BIT_AFTER_LOOK
           waits[me] = true;
#endif
           bell[me];
           bell[me] = false
        od;
        atomic { inside--; mine = false }
        add(-1);
        wake()
    } unless { shot[me] }
    skip;
    d_step { if :: mine -> inside--; mine = false :: else fi; over[me] = true }
}

proctype killer()
{
    byte victim;
    do
    :: kills < KILLS ->
       if
       :: victim = 0
       :: victim = 1
       fi;
       atomic { if :: !over[victim] -> shot[victim] = true; kills++ :: else fi }
    :: break
    od
}

/* The master: takes what the dead held, and wakes everyone, for the dead may have been about to. */
proctype reaper(byte who)
{
    byte j = 0;

end:
    over[who] ->
#ifndef REAP_KEEPS_CELLS
    cell[who] = 0;
#endif
    waits[who] = false;
#ifndef REAP_WAKES_NOBODY
    do
    :: j < WORKERS -> bell[j] = true; j++
    :: else -> break
    od;
#endif
    reaped[who] = true
}

proctype rest()
{
    reaped[0] && reaped[1] -> assert(cell[0] + cell[1] == 0 && inside == 0)
}

init
{
    atomic {
        run worker(0); run worker(1); run killer();
        run reaper(0); run reaper(1); run rest()
    }
}

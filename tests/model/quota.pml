/*
 * The daily quota: reserve adds and then sums, a settlement commits and then releases, a sum reads what a slot has
 * reserved before what it has committed. Workers may be killed between any two steps, and are reaped. Promises: what is
 * spent and what the living may still spend never exceeds the limit; what was spent stays counted; at rest nothing is
 * reserved.
 */

#define WORKERS 3
#define LIMIT 1
#define KILLS 1

byte reserved[WORKERS], committed[WORKERS];
bool shot[WORKERS], over[WORKERS], reaped[WORKERS];
byte spent, may_spend, kills;

inline sum_up(into)
{
    into = 0; j = 0;
    do
    :: j < WORKERS ->
#ifdef COMMITTED_READ_FIRST
       into = into + committed[j];
       into = into + reserved[j];
#else
       into = into + reserved[j];
       into = into + committed[j];
#endif
       j++
    :: else -> break
    od
}

inline reserve()
{
    go = false;
    sum_up(seen);
    if
    :: seen + 1 > LIMIT
    :: else ->
       reserved[me]++;
#ifdef NO_SECOND_SUM
       seen = 0;
#else
       sum_up(seen);
#endif
       if
       :: seen <= LIMIT -> atomic { go = true; may_spend++; mine = true; assert(spent + may_spend <= LIMIT) }
       :: else -> reserved[me]--
       fi
    fi
}

inline settle()
{
    /* It is spent from here on, whether anybody wrote it down or not. */
#ifdef RELEASE_FIRST
    reserved[me]--;
    atomic { committed[me]++; may_spend--; mine = false; spent++ }
#else
    atomic { committed[me]++; may_spend--; mine = false; spent++ };
    reserved[me]--
#endif
}

proctype worker(byte me)
{
    byte j, seen;
    bool go, mine = false;

    {
        reserve();
        if
        :: go -> settle()
        :: else
        fi
    } unless { shot[me] }
    d_step { if :: mine -> may_spend--; mine = false :: else fi; over[me] = true }
}

proctype killer()
{
    byte victim;
    do
    :: kills < KILLS ->
       if
       :: victim = 0
       :: victim = 1
       :: victim = 2
       fi;
       atomic { if :: !over[victim] -> shot[victim] = true; kills++ :: else fi }
    :: break
    od
}

proctype reaper(byte who)
{
    over[who] ->
#ifndef REAP_KEEPS_RESERVED
    reserved[who] = 0;
#endif
#ifdef REAP_CLEARS_COMMITTED
    committed[who] = 0;
#endif
    reaped[who] = true
}

proctype rest()
{
    reaped[0] && reaped[1] && reaped[2] ->
    assert(reserved[0] + reserved[1] + reserved[2] == 0);
    assert(committed[0] + committed[1] + committed[2] == spent)
}

init
{
    atomic {
        run worker(0); run worker(1); run worker(2); run killer();
        run reaper(0); run reaper(1); run reaper(2); run rest()
    }
}

/*
 * The life of a slot: a master reserves it and forks, the child locks it and then says that it lives, and is reaped by
 * its master or, when that died, by a successor that finds the lock free. Anybody may be killed between any two steps.
 * Promises: the cells of a slot are never zeroed, nor the slot given away, while a process lives in it; and at rest
 * every slot is free.
 */

#define FREE 0
#define STARTING 1
#define LIVE 2
#define DYING 3
#define NOBODY 0

byte state = FREE, gen = 0;
byte owner = NOBODY;    /* the pid in the word */
byte lock = NOBODY;     /* of the slot; the kernel drops it at death */
byte living = NOBODY;   /* who believes that the slot is its own */
byte masters_gone = 0;
bool master_lock = true; /* the first master's; dropped at its death */
byte forked = 0, gone = 0;
bool child_shot[5], master_shot = false;
byte kills = 0;

#define KILLS 2

/* A child: p is its pid, parent the master that forked it. */
proctype child(byte p; byte parent; byte g)
{
    bool mine = false, entered = false;

    {
        /* It looks whether the slot is still the one it was forked for. */
        if
        :: state == STARTING && owner == parent && gen == g
#ifdef WORD_FIRST
           -> atomic { if :: state == STARTING && owner == parent && gen == g -> state = LIVE; owner = p; mine = true
                         :: else fi }
           if
           :: mine -> atomic { if :: lock == NOBODY -> lock = p; entered = true :: else fi }
           :: else
           fi
#else
           -> atomic { if :: lock == NOBODY -> lock = p; mine = true :: else fi }
           if
           :: mine ->
              atomic {
                  if
#ifdef NO_GENERATION
                  :: state == STARTING -> state = LIVE; owner = p; entered = true
#else
                  :: state == STARTING && owner == parent && gen == g -> state = LIVE; owner = p; entered = true
#endif
                  :: else
                  fi
              }
           :: else
           fi
#endif
        :: else
        fi;
        if
        :: entered ->
           atomic { assert(living == NOBODY); living = p };
           assert(state == LIVE && owner == p && gen == g); /* it works, and holds things */
           assert(state == LIVE && owner == p && gen == g)
        :: else
        fi
    } unless { child_shot[p] }
    /* Death: the kernel drops the lock. */
    d_step {
        if :: living == p -> living = NOBODY :: else fi;
        if :: lock == p -> lock = NOBODY :: else fi;
        gone++
    }
}

inline bury(s, o, g)
{
    atomic {
        if
        :: s == DYING -> may = true
        :: s != DYING && state == s && owner == o && gen == g -> state = DYING; may = true
        :: else -> may = false
        fi
    }
    if
    :: may ->
       assert(living == NOBODY); /* the cells are zeroed here */
       atomic { if :: state == DYING && gen == g -> state = FREE; owner = NOBODY :: else fi }
    :: else
    fi
}

proctype master(byte id)
{
    byte s, o, g, r, p, was_gone;
    bool may, got;

    {
        /* A successor reaps what it finds: under the lock, or not at all. */
        do
        :: atomic { s = state; o = owner; g = gen };
           if
           :: s == FREE -> break
           :: else ->
#ifdef REAP_WITHOUT_LOCK
              got = true;
#else
              atomic { if :: lock == NOBODY -> lock = id; got = true :: else -> got = false fi };
#endif
              if
              :: got ->
                 atomic { s = state; o = owner; g = gen };
                 if
                 :: s != FREE -> bury(s, o, g)
                 :: else
                 fi;
                 if :: lock == id -> lock = NOBODY :: else fi
              :: else -> lock == NOBODY || master_shot
              fi
           fi
        od;
        /* Reserve, fork, wait, reap. */
        atomic { if :: state == FREE -> gen++; state = STARTING; owner = id; r = gen; may = true :: else -> may = false fi };
        if
        :: may ->
           atomic { forked++; p = 2 + forked; run child(p, id, r) };
           skip
        :: else
        fi
    } unless { id == 1 && master_shot }
    d_step {
        if :: lock == id -> lock = NOBODY :: else fi;
        if :: id == 1 -> master_lock = false :: else fi;
        masters_gone++
    }
}

proctype killer()
{
    do
    :: kills < KILLS && !master_shot -> kills++; master_shot = true
    :: kills < KILLS && forked >= 1 && !child_shot[3] -> kills++; child_shot[3] = true
    :: kills < KILLS && forked >= 2 && !child_shot[4] -> kills++; child_shot[4] = true
    :: break
    od
}

/* The successor starts when the first master's lock is free; when all have gone another one cleans up. */
proctype history()
{
    byte s, o, g;
    bool may;

    !master_lock -> run master(2);
    (gone == forked && masters_gone == 2) ->
    atomic { s = state; o = owner; g = gen };
    if
    :: s != FREE -> bury(s, o, g)
    :: else
    fi;
    assert(state == FREE)
}

init
{
    atomic { run master(1); run killer(); run history() }
}

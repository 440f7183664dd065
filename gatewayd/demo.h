#ifndef GATEWAYD_DEMO_H
#define GATEWAYD_DEMO_H

/* `gatewayd --demo`: three simulated endpoints and a gateway in front of them, with nothing to configure. */

/* Runs until told to stop; returns the exit status. */
int demo_run(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What tests of the SMTP client share: a host of their own, and deliveries to a scripted server. */
#ifndef SMTP_TEST_SCENE_H
#define SMTP_TEST_SCENE_H

#include "transports/smtp/fake_server.h"
#include "transports/smtp/smtp.h"

enum { RCPTS_MAX = 200, BEHIND_MAX = 4 };

struct told { /* what was reported of a recipient */
	int times;
	enum ost_delivered status;
	char dsn[12], text[1500], relay[600], diagnostic[1200];
	uint32_t flags, uses;
};

struct trial {
	struct ost_delivery d; /* first */
	struct told told[RCPTS_MAX];
	const char *content;
	size_t size;
	bool in_memory, unreadable, finished;
	const char *wire;             /* the message as it goes out; NULL: it cannot be had so */
	size_t wire_size, wire_good;  /* so many bytes of it can be read */
	struct trial *behind, *began; /* what waits for the same next hop; with which the call of deliver() began */
};

#define GREET ">220 fake\n<EHLO client.example\n>250-fake\n>250-PIPELINING\n>250-8BITMIME\n>250 SIZE 1000000\n"
#define GREET_BARE ">220 fake\n<EHLO\n>250 fake\n"

struct scene {
	struct smtp smtp;
	struct smtp_config config;
	struct trial trial, behind[BEHIND_MAX];
	struct ost_delivery_rcpt rcpts[RCPTS_MAX], one;
	char addresses[RCPTS_MAX][32];
	char nexthop[64];
	struct fake_server *server;
	char *seen;
	const char *wrong;
};

/* A server that follows the script (NULL: there is none), and a delivery to so many recipients. */
struct scene *scene_new(const char *script, uint32_t nrcpts);
/* So many deliveries more wait for the same next hop, one recipient each. */
void scene_behind(struct scene *, size_t n);
void deliver(struct scene *);
/* Ends connections and server: ->seen is what the client said. */
void scene_end(struct scene *);
void scene_free(struct scene *); /* fails when the client did not follow the script */
/* The whole: a script, one recipient, one expected outcome. */
void expect(const char *script, enum ost_delivered status, const char *dsn, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/probe.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"

enum { LOOK_MS = 50, BASE = 31 };

/* A number in the digits that an address may have, without vowels. */
static const char *number_text(struct arena *a, uint64_t n)
{
	static const char digits[BASE + 1] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
	char text[16], *at = text + sizeof text - 1;
	*at = '\0';
	do
		*--at = digits[n % BASE];
	while ((n /= BASE) > 0);
	return arena_strdup(a, at);
}

const char *probe_sender(const struct server *srv, struct arena *a, int64_t unix_time)
{
	const char *sender = cfg_str(srv->view, P_address_verify_sender);
	int64_t ttl = cfg_time(srv->view, P_address_verify_sender_ttl) / CLOCK_SECOND;
	if (!*sender || strcmp(sender, "<>") == 0)
		return "";
	sender = cleanup_rewrite_address(srv->cleaner, a, sender);
	if (ttl <= 0)
		return sender;
	size_t local = address_local_len(sender);
	return arena_printf(a, "%.*s%s%s", (int)local, sender, number_text(a, (uint64_t)(unix_time / ttl)), sender + local);
}

/* Stores a probe; qmgr takes it from there. */
static bool send(struct server *srv, struct arena *a, const char *address)
{
	char queue_id[QUEUE_ID_SIZE];
	if (!srv->writer || spool_has_room(srv->spool, 0) != SPOOL_STORED)
		return false;
	struct spool_draft *draft = spool_draft_new(srv->writer);
	struct rcpt_set *set = rcpt_set_new(srv->cleaner, a);
	struct spool_envelope env = {
		.arrival = clock_utc(),
		.sender = probe_sender(srv, a, clock_utc() / CLOCK_SECOND),
		.flags = MSG_VERIFY,
		.rewrite_context = "local",
	};
	queue_id_text(queue_id, spool_draft_serial(draft), srv->long_queue_ids);
	rcpt_set_add(set, address, NULL, NOTIFY_NEVER);
	bool ok = rcpt_set_finish(set, &env, queue_id) == CLEANUP_OK && spool_draft_commit_wait(&draft, &env) == SPOOL_STORED;
	spool_draft_discard(&draft);
	return ok;
}

static int64_t now(void)
{
	return clock_utc() / CLOCK_SECOND;
}

/* Looks again and again until a result is there; false: the cache failed. */
static bool wait_for_result(struct server *srv, struct arena *a, const char *address, struct verify_entry *e)
{
	const struct cfg_view *v = server_stressed(srv) ? cfg_stress_view(srv->view) : srv->view;
	int64_t until = clock_mono() + cfg_int(v, P_address_verify_poll_count) * cfg_time(v, P_address_verify_poll_delay);
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	bool ok = true;
	while (ok && e->status == VERIFIED_UNKNOWN && clock_mono() < until) {
		nanosleep(&pause, NULL);
		ok = verify_find(srv->verified, a, address, now(), e);
	}
	return ok;
}

bool probe_address(struct server *srv, struct arena *a, const char *address, struct verify_entry *e)
{
	const struct verify_cache *cache = srv->verified;
	if (!cache || !cache->cache || !verify_find(cache, a, address, now(), e))
		return false;
	if (verify_wants_probe(cache, e, now())) {
		verify_note_probe(cache, a, address, e, now());
		if (!send(srv, a, address)) {
			log_warning("an address probe could not be sent: %s", address);
			if (e->status == VERIFIED_UNKNOWN)
				return false;
		}
	}
	return wait_for_result(srv, a, address, e);
}

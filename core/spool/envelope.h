/* SPDX-License-Identifier: Apache-2.0
 * Bodies of records: envelopes, updates, results and voids, to bytes and back. The parsers take any bytes. */
#ifndef SPOOL_ENVELOPE_H
#define SPOOL_ENVELOPE_H

#include "base/buf.h"
#include "spool/fields.h"

enum body_verdict {
	BODY_GOOD,
	BODY_BAD,      /* no such body */
	BODY_CRITICAL, /* holds something critical that this version does not know */
};

void envelope_put(struct buf *, const struct spool_envelope *);
enum body_verdict envelope_get(struct arena *, const char *p, size_t n, struct spool_envelope **);

void results_put(struct buf *, const struct spool_result *, size_t n);
/* Rows of a RECORD_RESULTS body. */
enum body_verdict results_get(struct arena *, const char *p, size_t n, struct result_row **, size_t *count);

void update_put(struct buf *, const struct spool_update *);
enum body_verdict update_get(struct arena *, const char *p, size_t n, struct spool_update **);

/* A copy in the journal that no longer counts. */
struct spool_void {
	uint32_t number, salt_id; /* the segment, in the life with this salt */
	uint64_t serial;
};
void voids_put(struct buf *, const struct spool_void *, size_t n);
enum body_verdict voids_get(struct arena *, const char *p, size_t n, struct spool_void **, size_t *count);

/* Takes a recipient's new state over, if it is news: a state that is final never goes back, the same attempt
 * counts once. Texts are shared, not copied. Answers whether anything changed. */
bool result_apply(struct spool_rcpt *, const struct result_row *);
void update_apply(struct spool_envelope *, const struct spool_update *);

#endif

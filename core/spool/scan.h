/* SPDX-License-Identifier: Apache-2.0
 * Reading a segment back, record by record. A bad record does not end it: the scan goes on at the next
 * place that verifies with this life's salt, that place and a higher sequence, and tells what it passed over.
 */
#ifndef SPOOL_SCAN_H
#define SPOOL_SCAN_H

#include "spool/segment.h"

struct scan {
	const struct segment_header *header;
	bool live; /* its writer is at work: what follows the last good record may be half written */
	uint64_t from, sequence; /* start here, behind the record with this number */
	uint64_t to;             /* and end here at the latest; 0: the segment's end */
	/* A record that verifies, content and body included; its bytes are valid during the call. `foreign`:
	 * of a later format, known by its head alone. */
	void (*record)(void *ctx, const struct record_head *, const char *bytes, bool foreign);
	/* Bytes of this life that verify as nothing. */
	void (*hole)(void *ctx, uint64_t from, const char *bytes, uint64_t len);
	void *ctx;
	/* Set: behind the last good record. */
	uint64_t read_to, last_sequence;
};

/* `bytes` are those of the file from s->from on, `len` of them. */
void scan_bytes(struct scan *s, const char *bytes, uint64_t len);
/* Does a record seem to follow, in a segment that has been read up to here? For those whose writer is at
 * work. */
bool scan_more(int fd, const struct segment_header *, uint64_t read_to);
/* Reads the bytes as well. A file that has been cut is read as far as it goes. False: some of the bytes could
 * not be read; what can be is scanned all the same. */
bool scan_segment(int fd, struct scan *s, struct ost_why *);

#endif

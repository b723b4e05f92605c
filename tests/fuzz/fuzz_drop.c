/* SPDX-License-Identifier: Apache-2.0
 * Files of maildrop/, which any user may write. */
#include <assert.h>
#include <stdint.h>
#include <unistd.h>

#include "base/io.h"
#include "base/tlv.h"
#include "pickup/drop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = io_memfd("drop", data, size);
	struct drop_reader r = { .fd = fd };
	const char *p;
	size_t n, all = 0;
	enum drop_record got;
	while ((got = drop_read(&r, &p, &n)) == DROP_ENVELOPE || got == DROP_DATA) {
		struct tlv_reader fields = tlv_read(p, n);
		struct tlv f;
		while (tlv_next(&fields, &f))
			assert(f.data >= p && f.data + f.len <= p + n);
		all += n;
	}
	assert(all <= size);
	drop_reader_free(&r);
	close(fd);
	return 0;
}

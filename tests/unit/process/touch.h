/* SPDX-License-Identifier: Apache-2.0
 * What the calling process may do with a path, found out by doing it. */
#ifndef TEST_PROCESS_TOUCH_H
#define TEST_PROCESS_TOUCH_H

enum { TOUCH_BYTES = 8 };

/* "r" opens for reading, "w" opens for writing; of a folder ("…/") also "l" lists it, "c" creates a file in
 * it, and r and w speak of the file "probe" in it. "-" is nothing at all. "/proc/parent/" is the parent's
 * folder. Answers letters, which has TOUCH_BYTES. Leaves everything as it was. */
const char *touch_path(const char *path, char *letters);

#endif

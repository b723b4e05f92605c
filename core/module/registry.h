/* SPDX-License-Identifier: Apache-2.0
 * What the files of this folder share beside module.h. */
#ifndef MODULE_REGISTRY_H
#define MODULE_REGISTRY_H

/* Closes instances that were retired or made for their configuration alone. No thread is in a module any more. */
void mod_instances_shutdown(void);

#endif

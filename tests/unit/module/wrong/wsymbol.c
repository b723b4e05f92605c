/* SPDX-License-Identifier: Apache-2.0 */
extern const int wsymbol_LTX_something_else;
__attribute__((visibility("default"))) const int wsymbol_LTX_something_else = 1;

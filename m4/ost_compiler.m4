dnl SPDX-License-Identifier: Apache-2.0
dnl AX_OST_COMPILER: gnu17, the warnings of this project, and the switches for the sanitizers and fuzzers.
AC_DEFUN([OST_CHECK_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $1])
  ost_save="$CFLAGS"; CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); OST_CFLAGS="$OST_CFLAGS $1"], [AC_MSG_RESULT([no])])
  CFLAGS="$ost_save"
])
AC_DEFUN([AX_OST_COMPILER], [
  OST_CFLAGS=
  m4_foreach([ost_flag], [[-std=gnu17], [-Wall], [-Wextra], [-Wshadow], [-Wcast-qual], [-Wformat=2],
    [-Wstrict-prototypes], [-Wmissing-prototypes], [-Wvla], [-Wno-unused-parameter],
    [-fno-strict-aliasing], [-fstack-protector-strong]],
    [OST_CHECK_FLAG(ost_flag)])
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [a warning fails the build])],
    [AS_IF([test "$enableval" = yes], [OST_CFLAGS="$OST_CFLAGS -Werror"])])
  AC_ARG_ENABLE([asan], [AS_HELP_STRING([--enable-asan], [build with AddressSanitizer])],
    [AS_IF([test "$enableval" = yes], [OST_SAN="$OST_SAN -fsanitize=address"])])
  AC_ARG_ENABLE([ubsan], [AS_HELP_STRING([--enable-ubsan], [build with UndefinedBehaviorSanitizer])],
    [AS_IF([test "$enableval" = yes], [OST_SAN="$OST_SAN -fsanitize=undefined -fno-sanitize-recover=undefined"])])
  AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [build with ThreadSanitizer])],
    [AS_IF([test "$enableval" = yes], [OST_SAN="$OST_SAN -fsanitize=thread"])])
  AC_ARG_ENABLE([fuzzers], [AS_HELP_STRING([--enable-fuzzers], [build the fuzz targets (clang only)])],
    [], [enable_fuzzers=no])
  AS_IF([test "$enable_fuzzers" = yes],
    [OST_SAN="$OST_SAN -fsanitize=fuzzer-no-link"; FUZZ_LDFLAGS="-fsanitize=fuzzer"])
  AM_CONDITIONAL([FUZZERS], [test "$enable_fuzzers" = yes])
  AS_IF([test -n "$OST_SAN"], [OST_SAN="$OST_SAN -fno-omit-frame-pointer -g"])
  AC_SUBST([OST_CFLAGS])
  AC_SUBST([OST_SAN])
  AC_SUBST([FUZZ_LDFLAGS])
])

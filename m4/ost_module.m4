dnl SPDX-License-Identifier: Apache-2.0
dnl --with-modules=shared|static|no: what the modules are that are not named.
AC_DEFUN([OST_MODULES_ALL], [
  AC_ARG_WITH([modules], [AS_HELP_STRING([--with-modules=shared|static|no], [all modules that are not named (default shared)])])
])
dnl OST_MODULE(name, [commands that set ost_have=yes|no], [what is needed])
dnl Defines --with-NAME=shared|static|no and the conditionals WITH_NAME and NAME_STATIC. A module whose library is
dnl missing is left out with a line that says so; one that was asked for by name and cannot be built is an error.
AC_DEFUN([OST_MODULE], [
  AC_REQUIRE([OST_MODULES_ALL])
  m4_pushdef([OST_UP], [m4_toupper([$1])])
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=shared|static|no], [the module $1 (default: as --with-modules)])],
    [ost_with_$1=$withval], [ost_with_$1=default])
  ost_wish=$ost_with_$1
  AS_IF([test "$ost_wish" = default && test -n "$with_modules"], [ost_wish=$with_modules])
  ost_have=yes
  AS_IF([test "$ost_wish" != no], [$2])
  AS_CASE(["$ost_wish/$ost_with_$1/$ost_have"],
    [no/*], [ost_mod_$1=no; ost_modules_off="$ost_modules_off $1:not-wanted"],
    [default/*/yes|yes/*/yes|shared/*/yes], [ost_mod_$1=shared; ost_modules_shared="$ost_modules_shared $1"],
    [static/*/yes], [ost_mod_$1=static; ost_modules_static="$ost_modules_static $1"],
    [*/default/no], [ost_mod_$1=no
      AC_MSG_WARN([module $1 is left out: it needs $3])
      ost_modules_off="$ost_modules_off $1:needs-$3"],
    [*/no], [AC_MSG_ERROR([module $1 was asked for, but it needs $3])],
    [AC_MSG_ERROR([--with-$1 and --with-modules take shared, static or no, not "$ost_wish"])])
  AM_CONDITIONAL([WITH_]OST_UP, [test "$ost_mod_$1" != no])
  AM_CONDITIONAL(OST_UP[_STATIC], [test "$ost_mod_$1" = static])
  m4_popdef([OST_UP])
])
dnl OST_SUMMARY: the list of static modules for the loader, and what was configured, in words.
AC_DEFUN([OST_SUMMARY], [
  AS_ECHO(["modules, shared:   $ost_modules_shared"])
  AS_ECHO(["modules, static:   ${ost_modules_static:- none}"])
  AS_ECHO(["modules, left out: ${ost_modules_off:- none}"])
])

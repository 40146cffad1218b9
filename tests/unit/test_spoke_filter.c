/* The attributes that a raw filter names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "spoke/export/choose/filter.h"

static void
name_add(void *arg, struct slice name)
{
	struct buf *out = arg;

	buf_add(out, name);
	buf_add_byte(out, ' ');
}

static void
names_are(const char *filter, const char *names)
{
	struct buf out;

	buf_init(&out, 1024);
	filter_attributes(filter, name_add, &out);
	assert_string_equal(buf_cstr(&out), names);
	buf_fini(&out);
}

static void
test_every_kind_of_item(void **state)
{
	(void)state;
	names_are("(department=Sales)", "department ");
	names_are(
	    "(&(a=1)(|(b>=2)(!(c<=3)))(d~=4)(e=*)(f=x*y*))", "a b c d e f ");
	names_are("( & ( cn = a ) ( sn=b ) )", "cn sn ");
	names_are("(cn;lang-de=x)", "cn ");
	names_are("(uid:caseExactMatch:=x)(mail:dn:2.4.6:=y)", "uid mail ");
	names_are("(msDS-PhoneticFirstName=a)", "msDS-PhoneticFirstName ");
	names_are("(1.2.840.113556.1.4.656=x)", "1.2.840.113556.1.4.656 ");
	names_are("(!( oid.2.5.4.3;lang-de=x))", "2.5.4.3 ");
	names_are("(OID.2.5.4.3:2.5.13.5:=x)", "2.5.4.3 ");
}

static void
test_what_is_no_name(void **state)
{
	(void)state;
	names_are("", "");
	names_are("(", "");
	names_are("(:dn:2.4.6.8:=x)", "");
	names_are("(cn=a\\28b=c\\29)", "cn ");
	names_are("(cn=!&|=<>)", "cn ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind_of_item),
	    cmocka_unit_test(test_what_is_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

"""Names inside a template of a forest with a child domain."""

CHILD = 'child'
CHILD_HOST = 'DC2'
SECOND_HOST = 'DC3'     # a second controller of the first domain
CHILD_SID = 'S-1-5-21-1111111-2222222-3333333'

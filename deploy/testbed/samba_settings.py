"""Names and passwords inside a forest template."""

ADMIN_PASSWORD = 'Passw0rd.admin'
SERVICE = 'svc-galrelay'
SERVICE_PASSWORD = 'Passw0rd.relay'
CONTACT_CLASS = '5cb41ed0-0e4c-11d0-a286-00aa003049e2'
GET_CHANGES_RIGHT = '1131f6aa-9c07-11d1-f79f-00c04fc2dcd2'

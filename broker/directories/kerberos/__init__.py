"""Kerberos: people whose browser holds a ticket of the site's realm sign in without typing (SPNEGO, RFC 4559).

keytab.py: the keys of our service, and how they are kept. ticket.py: whose ticket a token is. Who the person of a
principal is, is the directory's business (kinds/ldap/by_ticket.py).
"""

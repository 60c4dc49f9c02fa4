"""The marketplaces' side of the wire: a real HTTP server over one seeded world of orders, money and planted mistakes.

Nothing here is shared with the connectors, so that an error of theirs cannot hide behind the same error here.
"""

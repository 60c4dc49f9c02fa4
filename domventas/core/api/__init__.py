"""The ground of the REST API: who asks, how often, once only, and how it is answered. Apps add what they have."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a law: no time limit per example.
settings.register_profile("laws", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

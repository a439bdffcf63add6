# Recordings of the real API, and what it answers to open questions: docs/recordings.md.
.PHONY: record check-live

record: $(INSTALLED) ## Record the real iP.1 API, scrubbed (needs IP1_API_KEY and IP1_PARTICIPANT)
	@$(RUN) -m dev.live.record

check-live: $(INSTALLED) ## Ask the real iP.1 API what its documentation leaves open (needs the same)
	@$(RUN) -m dev.live.check

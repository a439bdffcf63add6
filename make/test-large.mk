.PHONY: test-large
test-large: $(INSTALLED) ## Run the tests with objects of 300 MB and 1,000,000 messages (some minutes)
	IP1_LARGE_TESTS=1 $(RUN) -m pytest tests/transfers/test_large_exports.py

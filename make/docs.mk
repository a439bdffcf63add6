# The documentation, and the tests that need a browser.
UI_INSTALLED := $(VENV)/.installed-ui

.PHONY: docs test-ui ui-requirements

docs: $(INSTALLED) ## Build the documentation in docs/_build/html; a warning is an error
	@$(RUN) -m dev.docs.embed
	@$(RUN) -m sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	@echo "Documentation: docs/_build/html/index.html"

test-ui: $(UI_INSTALLED) ## Test the connection form and an export in a real browser (SCREENSHOTS=1 renews docs/images)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		if test "$$(id -u)" = 0 && test -f /etc/debian_version; then \
			apt-get update -qq && apt-get install --yes -qq --no-install-recommends chromium; \
		else \
			echo "No Chromium found. Install it (Debian: sudo apt-get install chromium), then run this again." >&2; exit 1; \
		fi; }
	IP1_SCREENSHOTS=$(SCREENSHOTS) $(RUN) -m pytest tests/ui

ui-requirements: $(UV) ## Pin the newest versions for the tests in a browser
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --group ui --constraints requirements/dev.txt \
		--custom-compile-command "make ui-requirements" --output-file requirements/ui.txt

$(UI_INSTALLED): requirements/ui.txt $(INSTALLED)
	@$(UV) pip install --quiet --python $(RUN) --requirements requirements/ui.txt
	@touch $@

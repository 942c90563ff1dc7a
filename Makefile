# One target for each thing a person does here. The logic is in deploy/ and in the two packages, where tests reach it.

PYTHON   ?= python3
CAMERA   ?= auto
CURRENCY ?= INR
GOAL     ?= run
VENV     := .venv/bin
# A value only where the person gave one: $(call given,--option,VALUE)
given = $(if $(2),$(1) "$(2)")

.DEFAULT_GOAL := help
.PHONY: help setup setup-serve setup-train setup-phone setup-test setup-e2e setup-virtual run test check e2e e2e-arm e2e-camera e2e-device deb format check-data train evaluate \
  report compare phone xts replay bench serve rest-load rest-ray sweep-ray cloud-check translations wheel deploy deploy-check rollback undeploy doctor need-devices need-purge dashboard dashboard-load \
  dashboard-vendor soak sign bundle-kills endurance bench-peers cloud-nats clean

help: ## show this help
	@printf 'saynote says what banknote is in your hand.\n\n'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nFirst time here: make run (looks, decides and speaks), make test (proves that it does).\n'

# Before anything slow: is every value there that the target cannot guess?
need-%:
	@$(if $($*),:,$(error $* is missing; `make` shows what each target takes))

setup: ## install what is needed, nothing more: [GOAL=run|serve|train|phone|test|e2e|virtual]
	@$(PYTHON) deploy/bootstrap.py $(GOAL)

setup-serve:
	@$(PYTHON) deploy/bootstrap.py serve

setup-train:
	@$(PYTHON) deploy/bootstrap.py train

setup-phone:
	@$(PYTHON) deploy/bootstrap.py phone

setup-test:
	@$(PYTHON) deploy/bootstrap.py test

setup-e2e:
	@$(PYTHON) deploy/bootstrap.py e2e

setup-virtual:
	@$(PYTHON) deploy/bootstrap.py virtual

run: setup ## look, decide and speak, here: [CAMERA=auto|webcam|picamera|replay]
	@$(VENV)/python -m edge run --camera $(CAMERA) --view

test: check ## check, and the tests that start real programs
	@$(VENV)/python -m pytest -m integration -n 2 --dist loadfile --ignore tests/training
	@$(VENV)/python -m pytest -m integration -n 2 --dist loadfile tests/training

e2e: setup-e2e ## boot devices in boxes, as root, deploy to them over ssh and break them: [SUITE=trixie] [KILLS=10] [FILES="tests to run"]
	@$(VENV)/python -m tests.e2e.pi.suite $(call given,--suite,$(SUITE)) $(call given,--kills,$(KILLS)) $(FILES)

check: setup-test ## format, lint, types, import rules, fast tests
	@$(VENV)/ruff format --check .
	@$(VENV)/ruff check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(VENV)/python -m pytest -n auto --dist loadfile -m "not integration and not hardware and not machine and not e2e_arm and not e2e_device"

format: setup-test ## put the code into its one form
	@$(VENV)/ruff format .
	@$(VENV)/ruff check --fix .

check-data: need-DATA setup-train ## what is wrong with photographs: DATA=folder [BACKGROUND=folder] [STRANGERS=folder] [AGAINST=folder] [WEIGHTS=file] [REPORT=folder]
	@$(VENV)/python -m training check "$(DATA)" $(call given,--background,$(BACKGROUND)) $(call given,--strangers,$(STRANGERS)) \
	  $(call given,--against,$(AGAINST)) $(call given,--weights,$(WEIGHTS)) $(call given,--out,$(REPORT))

train: need-DATA setup-train ## photographs to a bundle: DATA=folder [OUT=bundle] [CURRENCY=INR] [BACKGROUND=folder] [STRANGERS=folder] [START=bundle | WEIGHTS=file] [STEPS=n]
	@$(VENV)/python -m training train "$(DATA)" --out "$(or $(OUT),bundle)" --currency "$(CURRENCY)" \
	  $(call given,--background,$(BACKGROUND)) $(call given,--strangers,$(STRANGERS)) \
	  $(call given,--start-from,$(START)) $(call given,--weights,$(WEIGHTS)) $(call given,--steps,$(STEPS))

evaluate: need-BUNDLE need-DATA setup-train ## how good a bundle is: BUNDLE=folder DATA=folder [BACKGROUND=folder]
	@$(VENV)/python -m training evaluate "$(BUNDLE)" "$(DATA)" $(call given,--background,$(BACKGROUND))

report: need-BUNDLE need-DATA setup-train ## the same as a page with curves and mistakes: BUNDLE=folder DATA=folder [BACKGROUND=folder] [OUT=folder]
	@$(VENV)/python -m training report "$(BUNDLE)" "$(DATA)" --out "$(or $(OUT),runs/report)" $(call given,--background,$(BACKGROUND))

compare: need-BUNDLES need-DATA setup-train ## bundles side by side: BUNDLES="folder folder" DATA=folder [BACKGROUND=folder] [OUT=folder]
	@$(VENV)/python -m training compare $(BUNDLES) --data "$(DATA)" $(call given,--background,$(BACKGROUND)) $(call given,--out,$(OUT))

phone: need-BUNDLE setup-phone ## a bundle for apps, as Core ML and ONNX: BUNDLE=folder [OUT=new folder] [DATA=photographs to compare on]
	@$(VENV)/python -m training export "$(BUNDLE)" --coreml --onnx $(call given,--out,$(OUT)) $(call given,--check,$(DATA))

xts: setup-train ## draw the play money and train its bundle anew: [OUT=folder]
	@$(VENV)/python -m training play --out "$(or $(OUT),edge/bundles/xts)"

replay: need-FOLDER setup ## play a recording through the device, faster than life: FOLDER=recording [BUNDLE=xts]
	@$(VENV)/python -m edge replay "$(FOLDER)" $(call given,--bundle,$(BUNDLE))

bench: setup ## how long a frame takes here, from decision to sound, and the start; into docs/benchmarks.md: [BUNDLE=xts]
	@$(VENV)/python -m edge bench --start --page docs/benchmarks.md $(call given,--bundle,$(BUNDLE))

bench-peers: setup-train ## the device beside Keras' predict and others' readers: [DATA=photographs] [EACH=n of each amount] [PEER="checkouts of readers"]
	@$(VENV)/python -m tests.peers $(call given,--data,$(DATA)) $(call given,--each,$(EACH)) $(if $(PEER),--peer $(PEER))

serve: setup-serve ## answer pictures over HTTP, to this machine alone unless a key is given: [BUNDLE=inr] [PORT=n] [HOST=address KEYS=file] [COLLECT=folder]
	@$(VENV)/python -m deploy.rest $(call given,--bundle,$(BUNDLE)) $(call given,--port,$(PORT)) $(call given,--host,$(HOST)) \
	  $(call given,--key-file,$(KEYS)) $(call given,--collect,$(COLLECT))

rest-load: setup-test ## a hundred clients at the service for a minute, and what it costs beside the bare model: [BUNDLE=inr] [DATA=folder of photographs]
	@$(VENV)/python -m tests.deploy.rest.load $(call given,--bundle,$(BUNDLE)) $(call given,--data,$(DATA))

rest-ray: setup-test ## the service on a cluster of two Ray nodes here, one killed under load, in an environment of its own: [BUNDLE=inr] [DATA=folder of photographs]
	@$(VENV)/python -m tests.deploy.rest.cluster $(call given,--bundle,$(BUNDLE)) $(call given,--data,$(DATA))

sweep-ray: setup-test ## a sweep on a cluster of two Ray nodes here, one killed while it trains, in an environment of its own
	@$(VENV)/python -m tests.training.cluster

cloud-check: setup-test ## deploy/cloud/serve against the schemas of those who read it, in an environment of its own: [CRDS=folder of KubeRay's]
	@$(VENV)/python -m tests.deploy.cloudcheck $(call given,--crds,$(CRDS))

translations: setup ## bring the catalogues of what is spoken up to date: [NEW=code of another language]
	@$(VENV)/python -m deploy.translations $(NEW)

wheel: setup ## build dist/saynote-VERSION-py3-none-any.whl
	@$(VENV)/python -m deploy.wheel dist

deb: setup ## build dist/saynote_VERSION_ARCH.deb for an apt repository (deploy/apt): [FOR=bookworm-arm64, or trixie, amd64] [REVISION=1]
	@$(VENV)/python -m deploy.deb $(call given,--for,$(FOR)) $(call given,--revision,$(REVISION))

sign: need-BUNDLE need-KEY setup ## seal a bundle for devices in use: BUNDLE=folder KEY=file [OUT=dist] [URL=where it will lie, for its news]; a key first: .venv/bin/python -m deploy.sign --new-key KEY
	@$(VENV)/python -m deploy.sign "$(BUNDLE)" --key "$(KEY)" $(call given,--out,$(OUT)) $(call given,--url,$(URL)) $(call given,--page,$(PAGE))

# The way to devices: one program, several things to do.
SEND = $(VENV)/python -m deploy.send $(if $(PI),"$(PI)") $(call given,--inventory,$(INVENTORY)) $(call given,--target,$(TARGET)) \
  $(call given,--ssh-config,$(SSH_CONFIG))
need-devices:
	@$(if $(PI)$(INVENTORY),:,$(error PI is missing, or INVENTORY; `make` shows what each target takes))

deploy: need-devices setup ## install on devices over ssh, with rollback: PI=user@host[,...] or INVENTORY=file [BUNDLE=folder] [WHEELS=auto|folder] [TARGET=debian] [SSH_CONFIG=file]
	@$(SEND) $(call given,--bundle,$(BUNDLE)) $(call given,--wheels,$(WHEELS))

deploy-check: need-devices setup ## say what deploy would change there, and change nothing: PI=... [BUNDLE=folder] [TARGET=debian]
	@$(SEND) --action check $(call given,--bundle,$(BUNDLE))

rollback: need-devices setup ## go back to what ran before: PI=user@host[,...] or INVENTORY=file
	@$(SEND) --action rollback

need-purge:
	@$(if $(filter-out yes,$(PURGE)),$(error PURGE is yes, or left out and settings and captures stay))

undeploy: need-devices need-purge setup ## take saynote off devices; settings and captures stay: PI=... [PURGE=yes]
	@$(SEND) --action undeploy $(if $(filter yes,$(PURGE)),--purge)

doctor: need-devices setup ## what the doctor of every device says, in one table: PI=... or INVENTORY=file
	@$(SEND) --action doctor

dashboard: setup ## a broker, three devices on play money and the page that shows them, on this machine: [PORT=n] [DEVICES=n simulated ones]
	@$(VENV)/python -m deploy.demo $(call given,--port,$(PORT)) $(call given,--devices,$(DEVICES))

dashboard-load: setup-test ## measure the page with 1,000 simulated devices over an hour of theirs
	@SAYNOTE_LOAD=1 $(VENV)/python -m pytest -q -s -m integration tests/e2e/test_dashboard_load.py

dashboard-vendor: setup ## bring the page's npm packages in anew, as deploy/dashboard/package-lock.json says; needs npm
	@$(VENV)/python -m deploy.vendor

soak: setup-test ## kill a device at random moments, restart its broker, and account for its telemetry: a quarter of an hour [KILLS=200] [RESTARTS=50]
	@$(VENV)/python -m tests.e2e.soak $(call given,--kills,$(KILLS)) $(call given,--restarts,$(RESTARTS))

endurance: setup-test ## a day of the device and a week of its telemetry, in simulated time: does anything grow? [HOURS=24] [DAYS=7]
	@$(VENV)/python -m tests.e2e.endurance $(call given,--hours,$(HOURS)) $(call given,--days,$(DAYS))

bundle-kills: setup-test ## kill an installation of a bundle at random moments, and see that the device still speaks: [KILLS=200]
	@SAYNOTE_KILLS=$(or $(KILLS),200) $(VENV)/python -m pytest -q -s -m integration tests/e2e/test_bundle_kills.py

cloud-nats: setup-test ## load a cluster of three NATS nodes, kill one and account for every message: a few minutes [DEVICES=500]
	@$(VENV)/python -m tests.e2e.cluster $(call given,--devices,$(DEVICES))

e2e-camera: setup-e2e ## picamera2 itself in a box with Debian 13, as root: libcamera's virtual camera shows play money, and the daemon says it
	@$(VENV)/python -m tests.e2e.pi.suite --suite trixie tests/e2e/pi/test_camera.py

e2e-arm: setup-virtual ## the device's part on 64-bit Arm under qemu, as root: wheels, decisions, sums, instructions of a frame
	@$(VENV)/python -m pytest -q -s -m e2e_arm tests/e2e/vm

e2e-device: setup-virtual ## a virtual device, as root: camera, sound and pins that are simulated, unplugging, power cuts: [ONLY=words] [CUTS=20]
	@SAYNOTE_CUTS=$(or $(CUTS),20) $(VENV)/python -m pytest -q -s -m e2e_device $(if $(ONLY),-k "$(ONLY)") tests/e2e/vm

clean: ## remove what was built, .venv included
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

#!/usr/bin/env bash
# The API by a client in another language, generated from the proto: it does what the command line does (api_client), beside
# many others, some of which behave badly (api_crowd).
. "$(dirname "$0")/prologue.sh"

needs_gateway
begin
lab_start_gateway || fail "the gateway doesn't start"

generated=$LAB_RUN/api
mkdir "$generated"
protoc --proto_path="$LAB_ROOT" --python_out="$generated" --grpc_python_out="$generated" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" mgmt/api/appliance.proto mgmt/api/error_details.proto
export LAB_RUN LAB_BUILD LAB_PREFIX
PYTHONPATH=$generated:$LAB_ROOT/pktgen-tests/netns /usr/bin/python3 -B -m unittest -q api_client api_crowd ||
  fail "the client in Python doesn't get what it should"

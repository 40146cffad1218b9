#!/usr/bin/env python3
"""Turns published test vectors into the line-based files beside this script.

usage: convert.py DIRECTORY

DIRECTORY holds wycheproof-{aes_gcm,ed25519,hkdf_sha256,x25519}.json (Project
Wycheproof, testvectors_v1) and rfc9180-x25519-{aes128gcm,chacha20poly1305}-
base.txt (the test vectors of RFC 9180 appendix A). One line a test, fields
separated by blanks, bytes in hexadecimal, "-" for no bytes.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def tests(directory, name):
    with open(f"{directory}/wycheproof-{name}.json", encoding="ascii") as f:
        for group in json.load(f)["testGroups"]:
            for test in group["tests"]:
                yield group, test


def write(name, comment, rows):
    with open(f"{HERE}/{name}.txt", "w", encoding="ascii") as f:
        f.write(f"# {comment}\n")
        for row in rows:
            f.write(" ".join(str(v) if v != "" else "-" for v in row) + "\n")


def wycheproof(directory):
    write(
        "aes256gcm",
        "id result key iv aad plain cipher tag",
        (
            (t["tcId"], t["result"], t["key"], t["iv"], t["aad"], t["msg"], t["ct"], t["tag"])
            for g, t in tests(directory, "aes_gcm")
            if g["keySize"] == 256 and g["ivSize"] == 96 and g["tagSize"] == 128
        ),
    )
    write(
        "ed25519",
        "id result public message signature",
        (
            (t["tcId"], t["result"], g["publicKey"]["pk"], t["msg"], t["sig"])
            for g, t in tests(directory, "ed25519")
        ),
    )
    write(
        "hkdf",
        "id result ikm salt info size okm",
        (
            (t["tcId"], t["result"], t["ikm"], t["salt"], t["info"], t["size"], t["okm"])
            for g, t in tests(directory, "hkdf_sha256")
        ),
    )
    write(
        "x25519",
        "id result public private shared; result zero: must be refused",
        (
            (
                t["tcId"],
                "zero" if "ZeroSharedSecret" in t["flags"] else "valid",
                t["public"],
                t["private"],
                t["shared"],
            )
            for g, t in tests(directory, "x25519")
        ),
    )


def rfc9180(directory, name):
    with open(f"{directory}/rfc9180-x25519-{name}-base.txt", encoding="ascii") as f:
        text = f.read()
    # A value may start on the next line and go on over several.
    pairs = re.findall(r"^([A-Za-z_ ]+):[ \n]?((?:[0-9a-f]+\n?)*)$", text, re.M)
    rows, current = [], {}
    setup = {}
    for key, value in pairs:
        value = value.replace("\n", "")
        current[key] = value
        if key == "exporter_secret":
            setup, current = current, {}
            rows.append(("setup", setup["aead_id"], setup["info"], setup["skEm"], setup["skRm"],
                         setup["pkRm"], setup["enc"], setup["key"], setup["base_nonce"],
                         setup["exporter_secret"]))
        elif key == "ct":
            rows.append(("seal", current["sequence number"], current["pt"], current["aad"], value))
            current = {}
        elif key == "exported_value":
            rows.append(("export", current["exporter_context"], current["L"], value))
            current = {}
    write(f"hpke-{name}", "setup aead info skE skR pkR enc key nonce exporter | "
          "seal sequence plain aad cipher | export context length value", rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wycheproof(sys.argv[1])
    for name in ("aes128gcm", "chacha20poly1305"):
        rfc9180(sys.argv[1], name)


if __name__ == "__main__":
    main()

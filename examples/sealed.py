"""Keep secrets out of Redis: sealed values, hashed names, and a change of keys while it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from freshwell import Cache, ConfigurationError, Keyring, Sealed, Sensitive

OLD, NEW = Keyring.new_key(), Keyring.new_key()  # a service has them in its environment
URL = os.environ.get("FRESHWELL_URL")


@dataclass
class Patient:
    name: str
    diagnosis: Annotated[str, Sensitive()]


def patient(number: int) -> Patient:
    print("  asked the database")
    return Patient("Ada", "hush")


def cache(keys: str) -> Cache:
    """Build the cache of a process that has these keys; the first one writes."""
    keyring = Keyring.from_base64(keys)
    hashing = Keyring.from_base64(f"names:{OLD}")  # does not change with the others
    codec = Sealed("json", keyring)
    return Cache(URL, namespace="clinic", codec=codec, hash_keys=hashing, l1=URL is None)


def main() -> None:
    for keys in (f"2026:{OLD}", f"2027:{NEW},2026:{OLD}", f"2027:{NEW}"):
        with cache(keys) as clinic:
            cached = clinic.cached("patient:{number}")(patient)
            print(clinic.stats().coherence, cached(4711).name, cached(4711).name)

    if URL is None:
        print("Nothing left this process. Set FRESHWELL_URL to see what Redis gets.")
        return
    with Cache(URL, namespace="clinic") as careless:
        try:
            careless.cached("patient:{number}")(patient)
        except ConfigurationError as error:
            print(error)


if __name__ == "__main__":
    main()

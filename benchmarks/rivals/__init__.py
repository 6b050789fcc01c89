"""Compare freshwell with other caches for Python, under identical work.

Runs in an environment of its own: ``tools/setup.sh rivals`` makes ``.venv-rivals`` from
``requirements.txt``. Rivals are used as their own documentation shows, with a time to live, and
with the settings that are best for them where these are not the default.
"""

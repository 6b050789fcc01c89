"""``freshwell lint``: what is wrong with the cache calls of Python source. Imports none of it."""

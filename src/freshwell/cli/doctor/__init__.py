"""``freshwell doctor``: what is wrong with a live server, whoever wrote its keys."""

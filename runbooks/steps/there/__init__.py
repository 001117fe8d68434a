"""What is run where the files are: on this machine, or sent to another one over ssh.

Nothing here imports anything but Python's own library and its neighbours, and Python 3.9 can read it: there
is no Maint on the machines that are looked after. `runbooks.steps.sent` puts the modules together.
"""

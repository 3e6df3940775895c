"""What the server costs, measured from outside: contenders side by side in one run, round by round.

Nothing here imports ``rie_server``: it is a child process like every other contender, reached over loopback. Every
child is ended by its process id and every loop is bounded in count and time.
"""

"""The client program: what runs in a worker process, on behalf of the simulated clients it hosts."""

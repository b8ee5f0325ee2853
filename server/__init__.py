"""The coordinator: rounds, engines and aggregation. It never imports the client program."""

"""The library's own tasks, one module each; `fedgdl.federated.find_task` imports the one that is asked for."""

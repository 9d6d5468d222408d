"""The door for hosts' agents: nobody signs in here, each call proves by a code over it whose it is."""

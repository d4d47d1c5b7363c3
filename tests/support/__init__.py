"""What the system tests stand on: real registries, a token server, layouts, and the program under test. Standard library only."""

"""From what is in the window to what is sent: the budget, the live window, the assembly."""

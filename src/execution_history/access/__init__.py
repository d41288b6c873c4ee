"""Who may do what: keys, their scopes and workflows, limits, sessions of browsers, and the audit log."""

"""The explorer: GraphiQL with a sign-in panel."""

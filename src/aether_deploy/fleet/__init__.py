"""World servers and the stateless services around them: settings, rules, manifests."""

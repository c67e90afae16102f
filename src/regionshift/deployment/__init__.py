"""How a change goes through the regions and back: plans, steps and the state of a deployment. Pure."""

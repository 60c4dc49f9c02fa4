"""The ground of the house: clients, people, walls between clients, money, time and bulk writes."""

"""Erasures made good and bad on purpose: is the word that the verdict says the right one?"""

"""Cases x backends: do the implementations agree?"""

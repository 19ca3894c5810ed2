"""Classification: texts -> labels.

parameters     what can be chosen, declared once
state          the record of a fitted classifier
fitting        texts, labels -> state: intake, weighting, linear, objectives
prediction     state, texts -> probabilities, labels
evaluation/    labels and probabilities -> reports; judging: those of the validation part
explanation/   state, text -> what each word adds
bundle/        state <-> a directory
estimator      ``SentimentClassifier``, scikit-learn's face of it all, which nothing below imports
"""

"""The code of every diagnostic, by the name of its class: `error[DSLC012]`. People search for codes, so one never
changes and is never given to something else; a new class gets the next free one."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`example`: the file in tests/errors that shows it, in docs/errors.md too; empty for what is no text of a spec."""

    code: str
    example: str = ""


PAGE = "docs/errors.md"
"""What `dslc explain` prints parts of; tests/test_codes.py writes it."""
RETIRED: tuple[str, ...] = ()
"""Codes of diagnostics that there once were."""
CODES: dict[str, Entry] = {
    "NotReadable": Entry("DSLC001"),
    "NotText": Entry("DSLC002"),
    "TooLarge": Entry("DSLC003"),
    "FannFile": Entry("DSLC004", "fann_file"),
    "TooDeep": Entry("DSLC005", "brackets_too_deep"),
    "NumberTooLong": Entry("DSLC006", "number_too_long"),
    "NumberTooLarge": Entry("DSLC007", "number_infinite"),
    "NestedDeclaration": Entry("DSLC008", "missing_closing_brace"),
    "BadCharacter": Entry("DSLC009", "percent"),
    "UnexpectedWord": Entry("DSLC010", "arrow_at_line_end"),
    "NeverClosed": Entry("DSLC011", "missing_closing_brace_of_train"),
    "NoNet": Entry("DSLC012", "no_net"),
    "SecondDeclaration": Entry("DSLC013", "two_nets"),
    "BadRange": Entry("DSLC014", "param_range_int_fraction"),
    "OutsideRange": Entry("DSLC015", "param_not_a_choice"),
    "UnknownOverride": Entry("DSLC016", "override_unknown"),
    "NotOneValue": Entry("DSLC017", "override_of_a_sum"),
    "NothingToSet": Entry("DSLC018", "override_without_train"),
    "Redefined": Entry("DSLC019", "value_twice"),
    "NamedLike": Entry("DSLC020", "block_named_like_layer"),
    "NeverUsed": Entry("DSLC021", "param_unused"),
    "DeadEnd": Entry("DSLC022", "dead_end"),
    "UnknownName": Entry("DSLC023", "block_typo"),
    "ValueTooEarly": Entry("DSLC024", "value_before_it_is_made"),
    "NotANumber": Entry("DSLC025", "arithmetic_with_size"),
    "DividedByZero": Entry("DSLC026", "divided_by_zero"),
    "NotFinite": Entry("DSLC027", "arithmetic_overflow"),
    "BadSize": Entry("DSLC028", "size_of_one"),
    "NoFunction": Entry("DSLC029", "function_unknown"),
    "UnknownArgument": Entry("DSLC030", "argument_typo"),
    "TooManyArguments": Entry("DSLC031", "too_many_arguments"),
    "TwiceGiven": Entry("DSLC032", "argument_twice"),
    "PositionalAfterNamed": Entry("DSLC033", "positional_after_named"),
    "MissingArgument": Entry("DSLC034", "conv_without_size"),
    "NothingListed": Entry("DSLC035", "init_values_empty"),
    "NamedInList": Entry("DSLC036", "init_values_named"),
    "WrongValue": Entry("DSLC037", "dropout_percent"),
    "UnknownThing": Entry("DSLC038", "init_typo"),
    "ParamTooEarly": Entry("DSLC039", "param_before_it_is_declared"),
    "NoWeights": Entry("DSLC040", "freeze_on_relu"),
    "ValueInChain": Entry("DSLC041", "value_in_the_middle"),
    "ValueCalled": Entry("DSLC042", "value_called"),
    "NothingFlows": Entry("DSLC043", "input_after_layers"),
    "MergeNeedsValues": Entry("DSLC044", "add_number"),
    "MergeOfOne": Entry("DSLC045", "add_of_one"),
    "TooManyLayers": Entry("DSLC046", "block_grows_without_end"),
    "NestedTooDeep": Entry("DSLC047", "blocks_too_deep"),
    "RecursiveBlock": Entry("DSLC048", "block_mutually_recursive"),
    "EmptyBlock": Entry("DSLC049", "block_empty"),
    "NoSuchPlace": Entry("DSLC050", "block_with_input"),
    "LayerNameTaken": Entry("DSLC051", "name_of_numbered_layer"),
    "SizesDoNotFit": Entry("DSLC052", "conv_filter_too_large"),
    "TooManyElements": Entry("DSLC053", "input_too_large"),
    "Unreached": Entry("DSLC054", "rows_never_reached"),
    "NoLayers": Entry("DSLC055", "net_of_inputs_only"),
    "DropoutAtTheEnd": Entry("DSLC056", "dropout_last"),
    "NotFirst": Entry("DSLC057", "standardize_behind_augmentation"),
    "AugmentsTooLate": Entry("DSLC058", "augmentation_too_late"),
    "AugmentsForNothing": Entry("DSLC059", "augmentation_last"),
    "UnknownSetting": Entry("DSLC060", "class_weights_as_setting"),
    "SetTwice": Entry("DSLC061", "head_twice"),
    "MissingSetting": Entry("DSLC062", "loss_missing"),
    "OneValue": Entry("DSLC063", "two_values"),
    "NoHead": Entry("DSLC064", "batch_for_a_head"),
    "NesterovAlone": Entry("DSLC065", "nesterov_without_momentum"),
    "NoChain": Entry("DSLC066", "chain_of_optimizers"),
    "NoConditions": Entry("DSLC067", "conditions_of_metrics"),
    "ScheduleWithoutEnd": Entry("DSLC068", "schedule_after_cosine"),
    "UnknownLayerName": Entry("DSLC069", "freeze_unknown_layer"),
    "NothingToFreeze": Entry("DSLC070", "freeze_relu"),
    "NothingLearns": Entry("DSLC071", "freeze_everything"),
    "NothingToRegularize": Entry("DSLC072", "regularize_overridden"),
    "FrozenIsPenalized": Entry("DSLC073", "l2_on_frozen_layer"),
    "NothingToInit": Entry("DSLC074", "init_overridden"),
    "NothingToBePrecise": Entry("DSLC075", "precise_without_effect"),
    "UnknownHead": Entry("DSLC076", "loss_for_unknown_head"),
    "HeadWithoutLoss": Entry("DSLC077", "head_without_loss"),
    "WhichHead": Entry("DSLC078", "loss_without_head"),
    "LossNeedsActivation": Entry("DSLC079", "sigmoid_missing"),
    "LossOfScores": Entry("DSLC080", "hinge_after_softmax"),
    "LossDoesNotFit": Entry("DSLC081", "class_weights_too_few"),
    "MetricDoesNotFit": Entry("DSLC082", "accuracy_without_classes"),
    "AlwaysAmongThem": Entry("DSLC083", "metric_top5_of_three"),
    "WhichHeadsMetric": Entry("DSLC084", "stop_metric_of_which_head"),
    "ObjectiveTwice": Entry("DSLC085", "objective_twice"),
    "NeverHolds": Entry("DSLC086", "bound_in_percent"),
    "AlwaysHolds": Entry("DSLC087", "bound_without_effect"),
    "NoSlices": Entry("DSLC088", "slices_of_epochs"),
    "UnevenSlices": Entry("DSLC089", "batch_in_uneven_slices"),
    "SlicesOfAll": Entry("DSLC090", "batch_all_in_slices"),
    "FewToNormalize": Entry("DSLC091", "batchnorm_of_two"),
    "NoTargetToStandardize": Entry("DSLC092", "standardize_target_of_classes"),
    "TargetOutOfReach": Entry("DSLC093", "standardize_target_after_relu"),
    "WhichLength": Entry("DSLC094", "one_cycle_two_lengths"),
    "NormalizedInSlices": Entry("DSLC095", "batchnorm_in_slices"),
    "LearningRateTwice": Entry("DSLC096", "one_cycle_and_learning_rate"),
    "NoColumns": Entry("DSLC097", "table_without_columns"),
    "NotATable": Entry("DSLC098", "columns_of_a_size"),
    "ColumnTwice": Entry("DSLC099", "column_twice"),
    "ValueTwice": Entry("DSLC100", "category_value_twice"),
    "NoValue": Entry("DSLC101", "category_value_missing"),
    "NumberWithValues": Entry("DSLC102", "number_with_values"),
    "ValuesLearned": Entry("DSLC103", "category_values_learned"),
    "ValuesUnknown": Entry("DSLC104"),
    "NotWholeNumbers": Entry("DSLC105", "embedding_of_numbers"),
    "NotAnInput": Entry("DSLC106", "lengths_of_no_input"),
}


def code_of(diagnostic: type[object]) -> str:
    """The code of a class of diagnostics; empty if it has none, which tests/test_codes.py refuses."""
    entry = CODES.get(diagnostic.__name__)
    return entry.code if entry else ""

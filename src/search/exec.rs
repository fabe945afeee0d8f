//! The two plan nodes of our own: logical rows of segments, and raw records.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

use super::logical::{LogicalRows, Uncast};
use super::raw::RawRows;

/// Makes logical rows of the batches of segments.
#[derive(Debug)]
pub struct LogicalExec {
    input: Arc<dyn ExecutionPlan>,
    rows: LogicalRows,
    properties: Arc<PlanProperties>,
}

impl LogicalExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, rows: LogicalRows) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = properties(rows.schema(), partitions);
        LogicalExec { input, rows, properties }
    }
}

impl ExecutionPlan for LogicalExec {
    fn name(&self) -> &'static str {
        "LogicalExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(LogicalExec::new(input, self.rows.clone()))),
            Err(children) => exec_err!("LogicalExec has one input, not {}", children.len()),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.clone();
        let batches = self.input.execute(partition, context)?;
        let logical = batches.map(move |batch| Ok(rows.of_batch(&batch?)?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(self.rows.schema()), logical)))
    }
}

impl DisplayAs for LogicalExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogicalExec")
    }
}

/// Reads raw records.
#[derive(Debug)]
pub struct RawExec {
    raw: Arc<RawRows>,
    schema: SchemaRef,
    uncast: Uncast,
    properties: Arc<PlanProperties>,
}

impl RawExec {
    pub fn new(raw: Arc<RawRows>, schema: SchemaRef, uncast: Uncast) -> Self {
        let properties = properties(&schema, 1);
        RawExec { raw, schema, uncast, properties }
    }
}

impl ExecutionPlan for RawExec {
    fn name(&self) -> &'static str {
        "RawExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), 2);
        let (sender, raw) = (builder.tx(), Arc::clone(&self.raw));
        let (schema, uncast) = (Arc::clone(&self.schema), self.uncast.clone());
        builder.spawn_blocking(move || {
            // Nobody takes more: the query has enough.
            raw.read(&schema, &uncast, &mut |batch| sender.blocking_send(Ok(batch)).is_ok())
                .map_err(|error| DataFusionError::External(Box::new(error)))
        });
        Ok(builder.build())
    }
}

impl DisplayAs for RawExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawExec")
    }
}

fn properties(schema: &SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(schema)),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

package wef.fill;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.index.mapper.KeywordFieldMapper;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.index.mapper.NumberFieldMapper;
import org.elasticsearch.index.mapper.TextFieldMapper;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.ingest.ConfigurationUtils;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.IngestPlugin;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * Stands in for what the published distribution leaves out, as far as templates and documents can notice.
 *
 * A test learns whether Elasticsearch takes a template and a document, and which dynamic template wins; never how a
 * wildcard query performs: the types below are other types under borrowed names. What differs between 8 and 9 is in Edition.
 */
public class FillPlugin extends Edition.Root implements MapperPlugin, AnalysisPlugin, IngestPlugin {

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(lifecycle("name"), lifecycle("rollover_alias"));
    }

    private static Setting<String> lifecycle(String name) {
        return Setting.simpleString("index.lifecycle." + name, Setting.Property.IndexScope, Setting.Property.Dynamic);
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        // multi-fields ask for the very parsers of the server, so they stand here themselves wherever nothing is to be taken out
        return Map.of(
            "match_only_text", TextFieldMapper.PARSER,
            "wildcard", KeywordFieldMapper.PARSER,
            "version", KeywordFieldMapper.PARSER,
            "constant_keyword", without("value", KeywordFieldMapper.PARSER),
            "scaled_float", without("scaling_factor", NumberFieldMapper.NumberType.DOUBLE.parser())
        );
    }

    private static Mapper.TypeParser without(String parameter, Mapper.TypeParser parser) {
        return (name, node, context) -> {
            node.remove(parameter);
            return parser.parse(name, node, context);
        };
    }

    @Override
    public Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> getAnalyzers() {
        return Map.of("pattern", (index, environment, name, settings) -> new Edition.Provider(name, settings, splitting(settings)));
    }

    private static Analyzer splitting(Settings settings) {
        Pattern separator = Pattern.compile(settings.get("pattern", "\\W+"));
        return new Analyzer() {
            @Override
            protected TokenStreamComponents createComponents(String field) {
                Tokenizer words = new PatternTokenizer(separator, -1);
                return new TokenStreamComponents(words, new LowerCaseFilter(words));
            }
        };
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "pattern_capture", (index, environment, name, settings) -> new Edition.Filter(name, settings, capturing(settings)),
            "unique", (index, environment, name, settings) -> new Edition.Filter(name, settings, UnaryOperator.identity())
        );
    }

    private static UnaryOperator<TokenStream> capturing(Settings settings) {
        boolean whole = settings.getAsBoolean("preserve_original", true);
        Pattern[] patterns = settings.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
        return words -> new PatternCaptureGroupTokenFilter(words, whole, patterns);
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email", (index, environment, name, settings) -> new Edition.Splitter(index, name, settings, StandardTokenizer::new));
    }

    @Override
    public Map<String, Processor.Factory> getProcessors(Processor.Parameters parameters) {
        return Map.of("set", new Edition.Step("set", FillPlugin::setting), "drop", new Edition.Step("drop", (tag, options) -> document -> null),
            "fail", new Edition.Step("fail", FillPlugin::failing));
    }

    private static UnaryOperator<IngestDocument> setting(String tag, Map<String, Object> options) {
        String field = ConfigurationUtils.readStringProperty("set", tag, options, "field");
        Object value = ConfigurationUtils.readObject("set", tag, options, "value");
        Consumer<IngestDocument> change = document -> document.setFieldValue(field, value);
        return document -> {
            change.accept(document);
            return document;
        };
    }

    private static UnaryOperator<IngestDocument> failing(String tag, Map<String, Object> options) {
        String message = ConfigurationUtils.readStringProperty("fail", tag, options, "message");
        return document -> {
            throw new IllegalArgumentException(message);
        };
    }

    @Override
    protected Collection<RestHandler> handlers() {
        return List.of(new Greeting());
    }

    /** What a client asks first: who are you, and which version. */
    private static final class Greeting extends BaseRestHandler {
        @Override
        public String getName() {
            return "wef_fill_greeting";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            String node = client.getLocalNodeId();
            return channel -> {
                try (XContentBuilder answer = channel.newBuilder()) {
                    channel.sendResponse(new RestResponse(RestStatus.OK, greet(answer, node)));
                }
            };
        }

        private static XContentBuilder greet(XContentBuilder answer, String node) throws IOException {
            return answer.startObject().field("name", node).field("cluster_name", "wef-tests").field("cluster_uuid", node)
                .startObject("version").field("number", Build.current().version()).field("build_flavor", "default")
                .field("lucene_version", org.apache.lucene.util.Version.LATEST.toString()).endObject()
                .field("tagline", "You Know, for Search").endObject();
        }
    }
}
